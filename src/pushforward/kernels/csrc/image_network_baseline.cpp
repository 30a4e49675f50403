// For the instructions that every processor of the architecture has.
#define NAME(function) function##_baseline
#define REGISTER_BYTES 16
#include "image_network.inc"
