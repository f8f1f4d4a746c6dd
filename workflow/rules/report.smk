# What networks are made of; what the run was, what it cost, and all of it on one page: snakemake everything, then
# snakemake --report (make report).
rule draw_architecture_table:
    """Write a table of what networks are made of (Tables 3.1, 4.1 and 6.10)."""
    input:
        lambda wildcards: (
            shrink_results(wildcards.name) if wildcards.name == "table_6_10" else []
        ),
    output:
        **table(),
    log:
        log_of("draw_architecture_table/{name}.log"),
    wildcard_constraints:
        name="table_3_1|table_4_1|table_6_10",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-architecture"),
        reading=reading(),
        code=code_digest("report-architecture"),
    shell:
        "python -m pipeline --costs {log} report-architecture {wildcards.name} --results $RESULTS "
        "--settings {params.settings:q} -o {output.drawn} &> {log}"


rule report_costs:
    """Add up what each rule cost, beside what was planned."""
    input:
        chapters(),
    output:
        drawn=result("report/costs.csv"),
        text=result("report/costs.md"),
        page=on_page(result("report/costs.html"), "costs"),
        figure=on_page(result("report/costs.png"), "figure_costs", "figure_costs"),
    log:
        log_of("report_costs.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        logs=LOGS,
        reading=reading("costs"),
        code=code_digest("report-costs"),
    shell:
        "python -m pipeline --costs {log} report-costs --logs {params.logs} --plan {params.logs}/plan.json --figure {output.figure} "
        "-o {output.drawn} &> {log}"


rule report_overview:
    """Write the page's first item: what was run, on what, at what cost."""
    input:
        made=chapters(),
        costs=rules.report_costs.output.drawn,
    output:
        on_page(result("report/overview.html"), "overview"),
    log:
        log_of("report_overview.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-overview"),
        reading=reading("overview"),
        code=code_digest("report-overview"),
    shell:
        "python -m pipeline --costs {log} report-overview --results $RESULTS --costs {input.costs} "
        "--settings {params.settings:q} -o {output} &> {log}"


rule everything:
    """Every chapter that the configuration asks for, and the page of the run."""
    input:
        rules.report_overview.output,
    localrule: True
