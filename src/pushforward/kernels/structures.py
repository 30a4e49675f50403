"""The arguments of the kernels, field by field as in csrc/structures.h, where they are explained."""

from ctypes import POINTER, Structure, c_double, c_float, c_int32, c_int64, c_void_p

ADDITIVE, AFFINE, SPLINE = range(3)


class Spline(Structure):
    """What all splines of a call share; see `pushforward.bijections.RationalQuadraticSpline`."""

    _fields_ = (
        ("bins", c_int32),
        ("tails", c_int32),
        ("bound", c_double),
        ("smallest_bin", c_double),
        ("smallest_slope", c_double),
        ("slope_shift", c_double),
    )


class Univariate(Structure):
    """A family of univariate maps: `ADDITIVE`, `AFFINE` with its bound or `SPLINE` with its shape."""

    _fields_ = (("family", c_int32), ("log_scale_bound", c_double), ("spline", Spline))


class SplineCall(Structure):
    """Values mapped by splines, and the gradients of both results."""

    _fields_ = (
        ("spline", Spline),
        ("inverse", c_int32),
        ("threads", c_int32),
        ("count", c_int64),
        ("features", c_int64),
        ("value_stride", c_int64),
        ("feature_stride", c_int64),
        ("parameter_stride", c_int64),
        ("value", c_void_p),
        ("parameters", c_void_p),
        ("mapped", c_void_p),
        ("log_derivative", c_void_p),
        ("of_mapped", c_void_p),
        ("of_log_derivative", c_void_p),
        ("of_value", c_void_p),
        ("of_parameters", c_void_p),
    )


class Dense(Structure):
    """A linear layer, masked or not, and where its gradients go."""

    _fields_ = (
        ("units", c_int64),
        ("inputs", c_int64),
        ("skip", c_int64),
        ("weight", c_void_p),
        ("mask", c_void_p),
        ("bias", c_void_p),
        ("rows", c_void_p),
        ("columns", c_void_p),
        ("of_weight", c_void_p),
        ("of_bias", c_void_p),
    )


class LayerCall(Structure):
    """A network of rectifiers and the univariate maps whose parameters it supplies, and the gradients of both."""

    _fields_ = (
        ("univariate", Univariate),
        ("inverse", c_int32),
        ("threads", c_int32),
        ("count", c_int64),
        ("depth", c_int64),
        ("dense", POINTER(Dense)),
        ("value", c_void_p),
        ("known", c_void_p),
        ("added", c_void_p),
        ("mapped", c_void_p),
        ("log_det", c_void_p),
        ("saved", c_void_p),
        ("of_mapped", c_void_p),
        ("of_log_det", c_void_p),
        ("of_value", c_void_p),
        ("of_known", c_void_p),
        ("of_added", c_void_p),
        ("workspace", c_void_p),
    )


class LayerSizes(Structure):
    """How many weights a `LayerCall` has, and how much memory it needs."""

    _fields_ = (("weights", c_int64), ("saved", c_int64), ("workspace", c_int64))


class AutoregressiveCall(Structure):
    """An autoregressive layer whose network is sorted by degree."""

    _fields_ = (
        ("univariate", Univariate),
        ("activation", c_int32),
        ("inverse", c_int32),
        ("threads", c_int32),
        ("hidden", c_int32),
        ("count", c_int64),
        ("features", c_int64),
        ("parameters", c_int64),
        ("block", c_int64),
        ("structure", c_void_p),
        ("weights", POINTER(c_void_p)),
        ("value", c_void_p),
        ("row_stride", c_int64),
        ("feature_stride", c_int64),
        ("context", c_void_p),
        ("context_row_stride", c_int64),
        ("context_feature_stride", c_int64),
        ("mapped", c_void_p),
        ("log_det", c_void_p),
    )


class Head(Structure):
    """What the parameters of a sample make of its noise; see `pushforward.audio.models.heads`."""

    _fields_ = (
        ("kind", c_int32),
        ("components", c_int32),
        ("bound", c_float),
        ("reach", c_float),
        ("scale", c_float),
        ("temperature", c_float),
    )


class WaveNetCall(Structure):
    """The next samples of some sequences."""

    _fields_ = (
        ("rows", c_int64),
        ("samples", c_int64),
        ("time", c_int64),
        ("sizes", c_void_p),
        ("weights", c_void_p),
        ("memory", c_void_p),
        ("added", c_void_p),
        ("frames", c_int64),
        ("hop", c_int64),
        ("threads", c_int32),
    )


class WaveNetLoop(Structure):
    """One sample after the other."""

    _fields_ = (
        ("call", WaveNetCall),
        ("head", Head),
        ("reads_noise", c_int32),
        ("last", c_void_p),
        ("adaptive", c_void_p),
        ("noise", c_void_p),
        ("numbers", c_int64),
        ("made", c_void_p),
        ("log_det", c_void_p),
    )


class WaveNetPass(Structure):
    """All samples at once."""

    _fields_ = (("call", WaveNetCall), ("previous", c_void_p), ("parameters", c_void_p))


class Convolution(Structure):
    """A convolution of 3 × 3, and where its gradients go."""

    _fields_ = (
        ("inputs", c_int64),
        ("outputs", c_int64),
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("of_weight", c_void_p),
        ("of_bias", c_void_p),
    )


class ImageNetworkCall(Structure):
    """A residual network of images and its gradients."""

    _fields_ = (
        ("count", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("depth", c_int64),
        ("layers", POINTER(Convolution)),
        ("threads", c_int32),
        ("images", c_void_p),
        ("added", c_void_p),
        ("rows", c_void_p),
        ("results", c_void_p),
        ("saved", c_void_p),
        ("workspace", c_void_p),
        ("of_results", c_void_p),
        ("of_images", c_void_p),
        ("of_added", c_void_p),
        ("of_rows", c_void_p),
    )


class ImageNetworkSizes(Structure):
    """How much memory an `ImageNetworkCall` needs."""

    _fields_ = (("saved", c_int64), ("workspace", c_int64))


STRUCTURES: tuple[type[Structure], ...] = (
    Spline,
    Univariate,
    SplineCall,
    Dense,
    LayerCall,
    LayerSizes,
    AutoregressiveCall,
    Head,
    WaveNetCall,
    WaveNetLoop,
    WaveNetPass,
    Convolution,
    ImageNetworkCall,
    ImageNetworkSizes,
)
