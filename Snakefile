# Configuration, includes, targets; nothing else. The rules are in workflow/rules/, the settings in config.yaml.
from snakemake.utils import min_version

min_version("9.10")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/anonymize.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/shrink.smk"
include: "workflow/rules/shrink_studies.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/detection_networks.smk"
include: "workflow/rules/detection_report.smk"
include: "workflow/rules/spotting.smk"
include: "workflow/rules/spotting_report.smk"


# A driver that was killed leaves its jobs behind on a cluster; they end before the new one starts its own.
onstart:
    if workflow.executor_plugin.name == "slurm":
        check(stop_orphans, Path.cwd())
        remember_min_job_age()


# Everything: anonymised frames, their certificates, the statistics of Sec. 5.1, the contact sheet, the quarantine list.
rule all:
    default_target: True
    input:
        result("quarantine.tsv"),
        [result("audit/{what}/certificate.json", what=what) for what in VARIANTS],
        result("statistics/sensitive_information.tsv"),
        result("private/contact_sheet.png"),
    localrule: True
