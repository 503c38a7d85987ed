"""What an installed package must have before anything else is tested."""

import subprocess
from pathlib import Path

import pythy


def test_the_native_module_is_loaded():
    assert pythy._native.__name__ == "pythy._native"


def test_the_worker_lies_in_the_package_and_runs():
    worker = Path(pythy.__file__).parent / "bin" / "pythy-worker"
    ran = subprocess.run([worker, "--version"], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.startswith("pythy-worker ")
