"""The compiled kernels, which are optional: where they cannot be built, the same maps run in torch alone, slower."""

import sysconfig
from pathlib import Path

from setuptools import Extension, setup

FOLDER = "src/pushforward/kernels/csrc"
# Python sees one empty module of the library: one build serves every Python from 3.11 on, but those without a global
# lock, which have no stable interface.
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")
setup(
    ext_modules=[
        Extension(
            "pushforward.kernels._native",
            sources=[
                f"{FOLDER}/threads.cpp",
                *(
                    f"{FOLDER}/{kernels}{name}.cpp"
                    for kernels in ("", "float64_", "wavenet_", "image_network_")
                    for name in ("baseline", "avx2", "avx512")
                ),
            ],
            depends=[str(path) for pattern in ("*.h", "*.inc") for path in sorted(Path(FOLDER).glob(pattern))],
            extra_compile_args=[
                "-O3",
                "-std=c++17",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fno-exceptions",
                "-Wno-psabi",
                "-Wno-maybe-uninitialized",
                "-pthread",
            ],
            extra_link_args=["-pthread"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE else [],
            py_limited_api=STABLE,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
