"""The demo's games, laid out as SoccerNet's: labels and files.

`pipeline.demo.match_plan` says what happens when, `pipeline.demo.match_shots` directs the broadcast,
`pipeline.demo.match_scenes` draws it and `pipeline.demo.match_video` writes it.
"""

from pathlib import Path

from pipeline.demo.match_plan import LEAGUE, SEASON, Game, HalfJob, Moment, games, splits
from pipeline.runtime.files import atomic, write_json
from pipeline.spot.events import HALVES

VIDEO = "HQ.mkv"  # a half's video after its number, as in 1_HQ.mkv
_OLD = {"Goal": "soccer-ball", "Yellow card": "y-card", "Red card": "r-card", "Substitution": "substitution-in"}


def match_files() -> list[str]:
    """Every file that `make_matches` writes, relative to its root."""
    inside = [f"{half}_{VIDEO}" for half in HALVES] + ["video.ini", "Labels.json", "Labels-v2.json"]
    return [f"{game}/{name}" for names in splits().values() for game in names for name in inside] + [
        f"games_{split}.json" for split in splits()
    ]


def make_matches(root: Path, *, workers: int = 1) -> None:
    """Write the games' videos, labels and lists below ``root``.

    Args:
        root: Folder to write to; it will hold the league.
        workers: Processes; the result does not depend on it.

    Raises:
        ActaError: a half could not be written.
    """
    from pipeline.demo.match_video import write_half
    from pipeline.runtime.workers import make_all

    jobs: list[HalfJob] = []
    for split in splits():
        played = games(split)
        for game in played:
            folder = root / game.name
            write_labels(folder, game)
            jobs += [
                HalfJob(f"{game.name}/{half.number}", folder / f"{half.number}_{VIDEO}", game, half)
                for half in game.halves
            ]
        write_json(
            root / f"games_{split}.json", {LEAGUE: {SEASON: [Path(game.name).name for game in played]}}, seal=False
        )
    make_all(write_half, jobs, workers=workers, task="make_matches")


def write_labels(folder: Path, game: Game) -> None:
    """Write video.ini, Labels.json (version 1) and Labels-v2.json of a game."""
    sections = [
        f"[{half.number}_{VIDEO}]\nstart_time_second = {half.before}\nduration_second = {half.length}\n"
        for half in game.halves
    ]
    with atomic(folder / "video.ini") as temporary:
        temporary.write_text("\n".join(sections))
    home, away = game.clubs
    new = [_annotation(moment) for half in game.halves for moment in half.moments]
    old = [
        {key: entry[key] for key in ("gameTime", "label", "team")} | {"label": _OLD[entry["label"]]}
        for entry in new
        if entry["label"] in _OLD
    ]
    head = {"UrlLocal": f"{game.name}/", "UrlYoutube": ""}
    teams = {
        "gameAwayTeam": away,
        "gameDate": f"{game.date:%d/%m/%Y - %H:%M}",
        "gameHomeTeam": home,
        "gameScore": "{} - {}".format(*game.goals),
    }
    write_json(folder / "Labels.json", head | {"annotations": old} | teams, seal=False)
    write_json(folder / "Labels-v2.json", head | {"annotations": new} | teams, seal=False)


def _annotation(moment: Moment) -> dict[str, str]:
    event = moment.event
    return {
        "gameTime": f"{event.half} - {int(event.time) // 60:02d}:{int(event.time) % 60:02d}",
        "label": event.label,
        "position": str(round(1000 * event.time)),
        "team": ("home", "away")[moment.team],
        "visibility": "visible" if event.visible else "not shown",
    }
