"""A report in a file, in the format that the ending of its name says."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from pushforward.errors import InputError
from pushforward.evaluation.report.contents import ModelReport
from pushforward.evaluation.report.markdown import as_markdown
from pushforward.support.arguments import path_of
from pushforward.support.atomic import atomic_path, check_writable

PAGES = (".html", ".pdf", ".png")
ENDINGS = (*PAGES, ".md", ".json")


def check_report_path(path: str | os.PathLike[str]) -> Path:
    """Refuse a name of a report whose ending says nothing, before the work.

    Example:
        >>> check_report_path("report.docx")
        Traceback (most recent call last):
        pushforward.errors.InputError: A report ends in .html, .pdf, .png, .md or .json, report.docx does not.
    """
    found = path_of(path)
    if found.suffix.lower() not in ENDINGS:
        raise InputError(f"A report ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, {found} does not.")
    check_writable(found)
    return found


def write_report(report: ModelReport, path: str | os.PathLike[str], model: Any = None) -> None:
    """Write a report to a file, atomically: HTML, PDF or PNG with pictures, Markdown or JSON without.

    Arguments:
        report: what `pushforward.report` found.
        path: of the file.
        model: the model or its file; a page then shows its flow at work. Default none.

    Raises:
        InputError: another ending, or a folder that is not there.
    """
    found = check_report_path(path)
    if found.suffix.lower() in PAGES:
        # Only pages need what draws them.
        importlib.import_module("pushforward.evaluation.report.page").write_page(report, found, model)
        return
    text = report.to_json() + "\n" if found.suffix.lower() == ".json" else as_markdown(report)
    with atomic_path(found) as temporary:
        temporary.write_text(text, encoding="utf-8")
