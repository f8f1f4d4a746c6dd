"""The suffixes of files that are taken for videos."""

SUFFIXES = frozenset(
    [".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"]
    + [".mxf", ".nut", ".ogv", ".ts", ".webm", ".wmv"]
)
