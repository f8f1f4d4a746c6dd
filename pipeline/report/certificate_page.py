"""The certificate of an anonymised variant as a page that a data protection officer can read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.config.detectors import DETECTORS
from pipeline.report.tables import escape, html_table, page

Row = dict[str, Any]

_WORST = 20  # videos
_TASKS = {"detect": "Detection", "obfuscate": "Hiding", "audit": "Audit", "certify": "Certificate"}
_NOT_PROVED = (
    "That nobody can be recognised. The audit says what the detectors named here find at the scores named here. What "
    "they miss, it misses too: it proves presence, not absence. Look at the frames before you give them away.",
    "That what is left is a person. A detector takes a poster or a wheel for one at times; that is counted too.",
    "That people cannot be told by something else: clothes, tattoos, gait, voices and places identify people too.",
    "Anything on the videos at their own size, on their sound, or on copies made in another way: only the stored "
    "frames were audited.",
    "Anything on a network that was trained to recognise people in hidden pictures, or on one that was taught by a "
    "network which saw the original videos.",
    "That the processing is lawful. That is a question of law, which no measurement answers.",
)


def certificate_page(certificate: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The page: HTML that stands alone, without scripts.

    Args:
        certificate: The content of ``certificate.json``.
        rows: What each auditor found in each video (`pipeline.report.certify.COLUMNS`).
    """
    what = str(certificate["what"])
    title = f"Certificate: {what} hidden in {_count(certificate['videos'], 'video')}"
    return page(
        title,
        "".join(
            (
                f"<h1>{escape(title)}</h1>\n",
                _summary(certificate),
                _heading("What independent detectors find"),
                _list(_findings(certificate, rows)),
                _heading("Where most is left"),
                _worst(rows),
                _heading("How it was hidden"),
                _how(what, certificate["made_by"]),
                _heading("Videos left out"),
                _left_out(certificate["quarantined"]),
                _heading("What this does not prove"),
                _list(map(escape, _NOT_PROVED)),
                _heading("What made it"),
                _made_by(certificate["made_by"]),
            )
        ),
    )


def _heading(text: str) -> str:
    return f'<h2 style="font-size: 1.1rem">{escape(text)}</h2>\n'


def _summary(certificate: Mapping[str, Any]) -> str:
    made, what = certificate["made_by"], certificate["what"]
    search = made["detect"]["settings"]["detect"]
    by = f"the detector {search['detector']}"
    if search["faces"]:
        by += f", their faces by {search['faces']['detector']},"
    auditors = ", ".join(made["audit"]["settings"]["auditors"])
    unusual = escape("; ".join(certificate["unusual"]))
    unusual = f"<p><strong>Less is found or hidden than usual:</strong> {unusual}.</p>\n" if unusual else ""
    return (
        f"<p>The {escape(what)} in {_count(certificate['videos'], 'video')} with "
        f"{_count(certificate['frames'], 'frame')} were found by {escape(by)} and hidden. Then "
        f"other detectors ({escape(auditors)}) looked for {escape(what)} in the frames before and after. This page "
        f"says what they found; it is measured, not promised.</p>\n{unusual}"
    )


def _findings(certificate: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    """A sentence for each auditor."""
    audit = certificate["made_by"]["audit"]
    for auditor, counts in certificate["overall"].items():
        left = sum(row["after"] > 0 for row in rows if row["auditor"] == auditor)
        rate = counts["residual_rate"]
        yield (
            f"<strong>{escape(auditor)}</strong>, from a score of {audit['settings']['auditors'][auditor]:g} on: "
            f"{counts['before']:,} found before, <strong>{counts['after']:,} after</strong>"
            + (f" ({100 * rate:.2f} %)" if rate is not None else "")
            + f". Something is left in {counts['frames_with_residual']:,} of {_count(certificate['frames'], 'frame')} "
            f"and in {left:,} of {_count(certificate['videos'], 'video')}."
        )


def _worst(rows: Sequence[Row]) -> str:
    left = sorted((row for row in rows if row["after"]), key=lambda row: (-row["after"], row["video"], row["auditor"]))
    if not left:
        return "<p>No auditor found anything in the anonymised frames of any video.</p>\n"
    columns = ("video", "auditor", "after", "before", "frames_with_residual", "frames")
    cells = [[str(row[column]) for column in columns] for row in left[:_WORST]]
    table = html_table("Videos with most residual detections", columns, cells)
    rest = len(left) - len(cells)
    return table + (f"<p>The others ({rest:,}) are in the table of the audit.</p>\n" if rest else "")


def _how(what: str, made: Mapping[str, Any]) -> str:
    detect, hiding = made["detect"]["settings"]["detect"], made["obfuscate"]["settings"]["obfuscate"]
    filters = {
        "blur": f"a box filter over each, its side {hiding['kernel']:g} of the box's longer side",
        "pixelate": f"a mosaic of {hiding['blocks']} blocks along the box's longer side",
        "solid": "black",
        "frame": f"a box filter over the whole of every frame, its side {hiding['kernel']:g} of the longer side",
    }
    shapes = {
        "box": "the detector's outline where it gives one, else the box",
        "ellipse": "the detector's outline where it gives one, else an ellipse that holds the box, with a soft edge",
    }
    every, faces = detect["interval"], detect["faces"]
    entries = [(f"{what.capitalize()} found by", _network(detect))]
    if faces:
        assumed = "a body in the proportions of somebody upright is assumed below it and hidden"
        entries += [("Faces found by", _network(faces)), ("Face without a body", assumed)]
    entries += [
        ("Searched", f"at least every {every:g} s" if every else "every frame"),
        ("Turned pictures", "searched too, by 90, 180 and 270 degrees" if detect["search_rotated"] else "not searched"),
        ("Filled in", f"what is missed for at most {_count(detect['fill_gap'], 'frame')} between two detections"),
        ("Shape", "the whole frame" if hiding["filter"] == "frame" else shapes[hiding["shape"]]),
        ("Box", f"enlarged {hiding['enlarge']:g} times"),
        ("Hidden by", filters[hiding["filter"]]),
        ("On failure", "a frame on which the detector failed is hidden whole"),
    ]
    return _entries(entries)


def _network(settings: Mapping[str, Any]) -> str:
    """How a network looks for instances."""
    name, threshold, side = settings["detector"], settings["threshold"], settings["long_side"]
    score = f"its own score of {DETECTORS[name].threshold:g}" if threshold is None else f"a score of {threshold:g}"
    size = "the video's own size" if side is None else f"at most {side} pixels along the longer side"
    return f"{name}, from {score} on, in pictures of {size}"


def _left_out(quarantined: Sequence[Mapping[str, str]]) -> str:
    if not quarantined:
        return "<p>None: all videos of these shards were anonymised.</p>\n"
    columns = ("id", "task", "reason")
    cells = [[entry[column] for column in columns] for entry in quarantined]
    return (
        f"<p>{_count(len(cells), 'video')} could not be processed. Nothing of them was passed on, and nothing is "
        f"certified.</p>\n{html_table('Videos left out', columns, cells)}"
    )


def _made_by(made: Mapping[str, Any]) -> str:
    entries = []
    for task, name in _TASKS.items():
        part = made[task]
        entries.append((f"{name}: digest of the code", part["code"]))
        for weights, digest in part.get("weights", {}).items():
            entries.append((f"{name}: SHA-256 of the weights of {weights}", digest))
        if packages := part.get("packages"):
            versions = ", ".join(f"{package} {version}" for package, version in packages.items())
            entries.append((f"{name}: libraries", versions))
    return _entries(entries)


def _entries(entries: Sequence[tuple[str, str]]) -> str:
    lines = (f"<dt><strong>{escape(name)}</strong></dt>\n<dd>{escape(text)}</dd>\n" for name, text in entries)
    return f'<dl style="overflow-wrap: anywhere">\n{"".join(lines)}</dl>\n'


def _list(entries: Iterator[str]) -> str:
    return f"<ul>\n{''.join(f'<li>{entry}</li>' for entry in entries)}</ul>\n".replace("</li><li>", "</li>\n<li>")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
