"""The blocks of docs/real-model.md, by their place: what a user pastes is what the tests run."""

from __future__ import annotations

import re

from workflow import REPOSITORY

INSTALL, CONVERT, QUESTIONS, STUDY, RUN = re.findall(
    r"^```\w+\n(.*?)^```", (REPOSITORY / "docs/real-model.md").read_text(), re.DOTALL | re.MULTILINE
)
