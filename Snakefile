# Configuration, includes and targets, nothing else. The rules are in workflow/rules/, shared code in workflow/common/,
# settings in config.yaml.
from snakemake.utils import min_version

min_version("9.12")


include: "workflow/common/base.smk"
include: "workflow/common/report.smk"
include: "workflow/common/chapters.smk"
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
include: "workflow/rules/targets.smk"


rule all:
    """Anonymised frames, their certificates, the list of videos left out, pictures before and after."""
    default_target: True
    input:
        result(paths.QUARANTINE),
        [result(f"audit/{what}/certificate.json") for what in VARIANTS],
        page.files_of(RUN, "figure_5_3"),
        result(paths.CONTACT_SHEET),
        page.files_of(RUN, "figure_5_4") if "faces" in VARIANTS else [],
    localrule: True


# Included after all targets, because the page shows what they make.
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


# Jobs read the lists that the plan was made from. On a cluster, a killed driver leaves its jobs behind; they are stopped
# before the new driver starts its own.
onstart:
    check(LISTS.check)
    if workflow.workflow_settings.cache is not None:
        make_cached_private()
    if workflow.executor_plugin.name == "slurm":
        check(stop_orphans, Path.cwd())
        remember_min_job_age()
