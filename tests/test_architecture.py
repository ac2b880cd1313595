"""Who may import whom. The arrows are the design: detectors know nothing of the assistant."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP = {"assistant", "detectors", "prompts", "tests"}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, at the top or inside functions; those for type checkers alone are left out."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def uses(path: Path, package: str) -> bool:
    return any(name == package or name.startswith((f"{package}.", f"{package}_")) for name in imports(path))


FILES = sorted(p for folder in ("detectors", "assistant") for p in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows(path):
    place = path.relative_to(ROOT)
    if place.parts[0] == "detectors":
        for package in ("assistant", "langchain", "langgraph", "gradio"):
            assert not uses(path, package), f"{place} may not import {package}"
        return
    if place.parts[1] not in ("pipeline.py", "tools", "demo", "cli", "evals"):
        heavy = {n for n in imports(path) if n.split(".")[0] == "detectors"} - {
            "detectors.errors",
            "detectors.errors.AnomalyError",
        }
        assert not heavy, f"{place} sees {heavy}; only pipeline and tools touch detectors"
    if place.parts[1] != "chat":
        assert not uses(path, "gradio"), f"{place} may not import gradio"
    if place.parts[1] not in ("agent.py", "llm", "tools", "evals"):
        assert not uses(path, "langchain"), f"{place} may not import langchain"


def test_help_starts_without_the_heavy_packages():
    heavy = ("torch", "gradio", "langchain", "pandas", "matplotlib", "sqlalchemy")
    code = f"import sys, assistant.cli; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_no_pickle_anywhere():
    for path in FILES:
        text = path.read_text()
        assert "import pickle" not in text
        assert "allow_pickle=True" not in text
        assert "torch.load(" not in text or "weights_only=True" in text
