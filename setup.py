"""The compiled kernels, which are optional: where they cannot be built, the same maps run in torch alone, slower."""

from pathlib import Path

from setuptools import Extension, setup

FOLDER = "src/pushforward/kernels/csrc"
setup(
    ext_modules=[
        Extension(
            "pushforward.kernels._native",
            sources=[
                f"{FOLDER}/threads.cpp",
                *(
                    f"{FOLDER}/{kernels}{name}.cpp"
                    for kernels in ("", "float64_", "wavenet_")
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
            optional=True,
        )
    ]
)
