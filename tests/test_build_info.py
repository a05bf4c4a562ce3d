"""What an installation says of itself: the record beside the files is that of the compiled module."""

from fastgan import build_info, native


def test_the_record_is_that_of_the_compiled_module(need):
    need(native.host_missing(), "cpu")
    compiled, recorded = native.host().build_config(), native.build_facts()
    assert compiled["compiler"] == recorded["compiler"]
    assert compiled["torch"] == recorded["torch"]
    assert compiled["cuda"] == recorded["cuda_version"]
    assert compiled["cuda_archs"] == recorded["cuda_archs"]


def test_the_notice_is_there_exactly_without_the_native_part():
    assert (build_info.notice() is None) == (native.ops_missing() is None)
