"""Dask, joblib and Jupyter as PyPI has them, with sandboxes behind them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support import ROOT, documents
from tests.support.large import large
from tests.support.packages import printed

NOTEBOOK = """
import os, sys, threading
from jupyter_client.manager import KernelManager

manager = KernelManager(kernel_name="sandboxed")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=300)


def run(code, interrupt=False):
    seen = {}

    def hook(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            seen[content["name"]] = seen.get(content["name"], "") + content["text"]
            if interrupt:
                manager.interrupt_kernel()
        elif message["msg_type"] == "display_data":
            seen["shown"] = seen.get("shown", 0) + ("image/png" in content["data"])
        elif message["msg_type"] == "execute_result":
            seen["data"] = content["data"]
        elif message["msg_type"] == "error":
            seen["error"] = content["ename"]

    client.execute_interactive(code, timeout=300, output_hook=hook)
    return dict(sorted(seen.items(), reverse=True))  # each stream comes when it comes


print(run(f"import os, sys\\nx = 20\\nprint('out'); print('err', file=sys.stderr)\\n"
          f"os.path.exists({__file__!r})"))
print(run("x + 1"))
print(run("1 / 0"))
print(run("class A:\\n    __repr__ = lambda self: 'A'\\n    _repr_png_ = lambda self: b'PNG'\\n"
          "A()"))
print(run("import matplotlib.pyplot as plt\\nplt.plot([1]); plt.show(); plt.bar([1], [2]); 1"))
print(run("print('on', flush=True)\\nwhile True: pass", interrupt=True))
print(run("x"))
print(run("os._exit(3)"))
print(run("x"))
manager.restart_kernel()
client.wait_for_ready(timeout=300)
print(run("'x' in globals()"))
client.stop_channels()
manager.shutdown_kernel()
"""

SHOWN = """\
{'stdout': 'out\\n', 'stderr': 'err\\n', 'data': {'text/plain': 'False'}}
{'data': {'text/plain': '21'}}
{'error': 'ZeroDivisionError'}
{'data': {'text/plain': 'A', 'image/png': 'UE5H'}}
{'shown': 2, 'data': {'text/plain': '1'}}
{'stdout': 'on\\n', 'error': 'KeyboardInterrupt'}
{'data': {'text/plain': '20'}}
{'error': 'Died'}
{'error': 'NameError'}
{'data': {'text/plain': 'False'}}
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has them."""
    given = os.environ.get("LIMPET_ADAPTERS")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("adapters")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = ["dask", "joblib", "ipykernel", "jupyter_client", "matplotlib"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def ran(python: Path, words: list[str | Path], folder: Path) -> str:
    """What the program of these words prints; it finds this package, and what that needs."""
    paths = f"{ROOT / 'src'}:{sysconfig.get_path('purelib')}"
    data = str(folder / "jupyter")
    return printed([python, *words], folder, PYTHONPATH=paths, JUPYTER_DATA_DIR=data)


@large
@pytest.mark.parametrize(
    ("name", "said"), [("with_dask.py", "30\n"), ("with_joblib.py", "[0, 1, 4, 9, 16]\n")]
)
def test_documented(environment: Path, tmp_path: Path, name: str, said: str) -> None:
    """The programs of the page for users of Python."""
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    program = next(block.text for block in documents.blocks(text) if block.title == name)
    (tmp_path / name).write_text(program, encoding="utf-8")
    assert ran(environment, [name], tmp_path) == said


@large
def test_a_kernel(environment: Path, tmp_path: Path) -> None:
    """Cells, pictures, errors, an interrupt, an end, and a restart, as Jupyter asks for them."""
    install = ["-m", "limpet", "kernel", "install", "--name", "sandboxed", "--timeout", "60s"]
    install += ["--package", "matplotlib", "--python", str(environment)]
    ran(environment, [*install], tmp_path)
    (tmp_path / "notebook.py").write_text(NOTEBOOK, encoding="utf-8")
    assert ran(environment, ["notebook.py"], tmp_path) == SHOWN


@large
def test_a_kernel_without_a_sandbox(environment: Path, tmp_path: Path) -> None:
    """The cell says why there is none, and what to do; nobody waits for ever."""
    install = ["-m", "limpet", "kernel", "install", "--name", "sandboxed", "--package", "nonesuch"]
    ran(environment, [*install], tmp_path)
    text = NOTEBOOK.partition("print(run(f")[0].replace('["ename"]', '["evalue"]')
    text += 'print(run("1"))\nclient.stop_channels()\nmanager.shutdown_kernel()\n'
    (tmp_path / "notebook.py").write_text(text, encoding="utf-8")
    said = ran(environment, ["notebook.py"], tmp_path)
    assert "has no module nonesuch; " in said and "-m pip install it there" in said


def test_without_the_package() -> None:
    """It says what to install."""
    program = "import sys; sys.modules['ipykernel'] = None; from limpet.cli import main; main()"
    argv = [sys.executable, "-c", program, "kernel", "install"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125 and "pip install ipykernel" in done.stderr
    assert "Traceback" not in done.stderr
