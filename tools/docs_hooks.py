"""What mkdocs does with a page before it is rendered: the parts that README.md has are taken from there."""

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
# `<!-- README: Limits -->` stands for what is below that heading.
INCLUDED = re.compile(r"^<!-- README: (?P<heading>.+) -->$", re.MULTILINE)
# An example's file is named behind the language, which mkdocs wants to be told as a title.
NAMED = re.compile(r"^```(?P<language>\w+) (?P<name>[^\s=]+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with what it includes."""
    markdown = INCLUDED.sub(lambda match: section(match["heading"]), markdown)
    return NAMED.sub(r'```\g<language> title="\g<name>"', markdown)


def section(heading: str) -> str:
    """What README.md has below a heading, up to the next one."""
    parts = re.split(r"^#{1,2} (.+)\n", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if heading not in sections:
        raise ValueError(f"README.md has no heading '{heading}'")
    # Links of README.md lead from the root of the repository, where they are for who reads it there.
    return re.sub(r"\]\(docs/([\w-]+\.md)", r"](\1", sections[heading]).strip()
