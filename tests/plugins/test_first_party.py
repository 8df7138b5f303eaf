"""Names that our own distributions provide, when those are there, are not, or are broken."""

from __future__ import annotations

RESOLVE = """
    from axon_quant.plugins import resolve
    try:
        print(resolve("OnnxBackend").__module__)
    except ImportError as error:
        print(type(error).__name__, error)
    except Exception as error:
        print("no ImportError:", error)
"""


def test_an_installed_distribution_provides_the_name(site):
    site.add_backend("axon-backend-onnx", "onnx")
    assert site.python(RESOLVE, alone=True) == "axon_backend_onnx.engine"


def test_metadata_without_its_package_is_not_installed(site):
    site.add("axon-backend-onnx", "")
    points = site.folder / "axon_backend_onnx-1.2.dist-info" / "entry_points.txt"
    points.write_text("[axon_quant]\nonnx = axon_backend_onnx_that_was_deleted.plugin\n")
    assert "which is not installed" in site.python(RESOLVE, alone=True)


def test_a_missing_runtime_of_an_installed_plugin_names_its_extra(site):
    site.add_backend("axon-backend-onnx", "onnx", engine="import nowhere_to_be_found\n")
    answer = site.python(RESOLVE, alone=True)
    assert answer.startswith("no ImportError: axon-backend-onnx 1.2: the backend 'onnx' is installed, but")
    assert "nowhere_to_be_found" in answer
    assert 'pip install "axon-backend-onnx[cpu]"' in answer


def test_a_blocked_plugin_stays_out_of_reach_of_its_public_name(site):
    site.add_backend("axon-backend-onnx", "onnx")
    assert "(blocked)" in site.python(RESOLVE, alone=True, AXON_DISABLE_PLUGINS="axon-backend-onnx")


def test_importing_the_package_is_light_and_imports_no_plugin(site):
    site.add("acme-backend", "raise SystemExit('imported')")
    code = """
        import sys
        before = set(sys.modules)
        import axon_quant.plugins
        from axon_quant.plugins import BackendDescriptor, Capability
        print(sorted({"pluggy", "importlib.metadata", "numpy", "attrs", "rich"} & (set(sys.modules) - before)))
    """
    assert site.python(code) == "[]"


def test_a_report_without_the_explainers_says_what_to_install(site):
    code = """
import sys
sys.argv, sys.stderr = ["axon", "report", "last", "--journal", "run.db"], sys.stdout
from axon_quant.cli import main
try:
    main()
except SystemExit as error:
    print("exit", error.code)
"""
    said = site.python(code, alone=True)
    assert 'pip install "axon-explain"' in said
    assert "exit 1" in said
