# What the rules' commands find in their shell. Where the videos lie and how many may be bad decides no result, so it is
# no parameter: another folder reruns nothing. It goes through the environment, so that a failed command stays readable.
def variables(**values):
    return "".join(f"{name}={quote(str(value))}; " for name, value in values.items())


def arrays(**options):
    """Options of a command as arrays of bash, so that names with spaces stay whole."""
    return "".join(f"{name}=({text}); " for name, text in options.items())


# Jobs find the package without an install, in whichever environment they run.
SHELL = " ".join(
    [
        # Containers often set this; each job would compile thousands of modules anew.
        "unset PYTHONDONTWRITEBYTECODE;",
        f"export PYTHONPATH={quote(PACKAGE)}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1;",
        variables(
            RESULTS=DATASET,
            ROOT=ROOT,
            MAX_BAD=CONFIG.data.max_bad_fraction,
            DETECTION_ROOT=DETECTION_ROOT,
            DETECTION_MAX_BAD=BOXES.max_bad_fraction,
            COUNTED=COUNTED,
            SHOWN=SHOWN or "",
            GAMES_ROOT=GAMES_ROOT,
            GAMES_MAX_BAD=SPOT.data.max_bad_fraction,
            LABELS=SPOT.data.version,
        ),
        arrays(
            ANNOTATED=ANNOTATED_OPTIONS,
            TRAINED_ON=TRAINED_ON_OPTIONS,
            VALIDATION=VALIDATION_OPTIONS,
            TEST=TEST_OPTIONS,
            DETECTOR=DETECTOR_OPTIONS,
            IMPORTED_OBJECTS=IMPORTED_OBJECTS,
        ),
        # glibc gives memory back and asks for it anew at every step of a training, a tenth of its time.
        "export MALLOC_TRIM_THRESHOLD_=1000000000 MALLOC_MMAP_THRESHOLD_=1000000000;",
        # Processes that load data: what a job has of cores beyond its compute threads.
        "loaders() { echo $(($1 > $2 ? $1 - $2 : 0)); }; ",
    ]
)
os.environ.update(ACTA_SHELL=SHELL)
shell.prefix('set -euo pipefail; eval "$ACTA_SHELL"; ')
