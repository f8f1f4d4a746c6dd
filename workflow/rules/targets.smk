# Targets: each table and figure by its number (tables are also printed), each chapter.
from pipeline.report.catalogue import entry, names
from pipeline.report.thesis import FIGURES, TABLES

for name in names():

    rule:
        name:
            name
        input:
            *page.files_of(RUN, name),
        log:
            log_of(f"{name}.log"),
        localrule: True
        conda:
            "../../envs/acta.yaml"
        params:
            show=lambda wildcards, input: (
                f"grep '^|' {input[0]} | column -t -s '|'"
                if input[0].endswith(".md")
                else f"ls {input}"
            ),
        shell:
            "{params.show} | tee {log}"

    workflow.get_rule(name).docstring = entry(name).title


rule classify:
    """Action recognition on anonymised videos (Ch. 5): Tables 5.1 to 5.3, Figures 5.6 and 5.7."""
    input:
        [
            page.files_of(RUN, name)
            for name in (*TABLES, *FIGURES)
            if name != "table_5_3" or CLASSIFY.compare
        ],
    localrule: True


rule shrink:
    """Progressive architecture shrinkage (Ch. 6): what shrink.tables lists, and the exported networks."""
    input:
        [page.files_of(RUN, name) for name in SHRINK.tables],
        shrink.exports(RUN),
    localrule: True


rule detect:
    """Action detection (Ch. 3): what detect.tables lists."""
    input:
        result(paths.DETECTION_QUARANTINE),
        [page.files_of(RUN, name) for name in DETECTION.tables],
    localrule: True


rule spot:
    """Soccer event spotting (Ch. 4): what spot.tables lists, an archive for SoccerNet's server, highlights."""
    input:
        result(paths.GAME_QUARANTINE),
        [page.files_of(RUN, name) for name in SPOT.tables],
        spot.of_main_network(RUN, paths.SUBMISSION, split=SPOT.splits.submitted),
        [
            result(f"{paths.HIGHLIGHTS}.html", game=game)
            for game in RUN.games[SPOT.splits.test][:1]
            if SPOT.data.videos
        ],
    localrule: True
