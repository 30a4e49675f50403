"""Triton kernels for GPUs: whole layers with their gradients, and autoregressive layers solved in one launch.

They are optional: without triton, which comes with PyTorch's builds for CUDA, everything runs in operations of torch,
with the same results. They take float32 and float64. Triton's interpreter runs them on a processor
(`TRITON_INTERPRET=1`), which is how they are tested.
"""
