# The networks' architectures, what was run, what it cost, and all of this on one page: snakemake everything, then
# snakemake --report (make report).
CHAPTERS = [getattr(rules, name).input for name in page.targets(RUN)]


rule draw_architecture_table:
    """Write a table of the networks' architectures (Tables 3.1, 4.1 and 6.10)."""
    input:
        lambda wildcards: (
            shrink.results_of(RUN, wildcards.name)
            if wildcards.name == "table_6_10"
            else []
        ),
    output:
        **table(),
    log:
        log_of("draw_architecture_table/{name}.log"),
    wildcard_constraints:
        name="|".join(page.ARCHITECTURES),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_architecture"),
        reading=reading(),
        results=verbatim(result("")),
    shell:
        command(
            "draw_architecture",
            "--name {wildcards.name} --results {params.results} -o {output.drawn}",
        )


rule report_costs:
    """Add up what each rule cost, compared with the plan."""
    input:
        CHAPTERS,
    output:
        **table(f"{paths.REPORT}/costs", "costs"),
        figure=on_page(
            result(f"{paths.REPORT}/costs.png"), "figure_costs", "figure_costs"
        ),
    log:
        log_of("report_costs.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("report_costs"),
        reading=reading("costs"),
        logs=verbatim(log_of("")),
    shell:
        command(
            "report_costs",
            "--logs {params.logs} --plan {params.logs}/plan.json --figure {output.figure} -o {output.drawn}",
        )


rule report_overview:
    """Write the page's first item: what was run, on what, at what cost."""
    input:
        made=CHAPTERS,
        costs=rules.report_costs.output.drawn,
    output:
        on_page(result(f"{paths.REPORT}/overview.html"), "overview"),
    log:
        log_of("report_overview.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("report_overview"),
        reading=reading("overview"),
        results=verbatim(result("")),
    shell:
        command(
            "report_overview",
            "--results {params.results} --costs {input.costs} -o {output}",
        )


rule everything:
    """Every chapter that the configuration asks for, and the page of the run."""
    input:
        rules.report_overview.output,
    localrule: True
