// For the instructions that every processor of the architecture has.
#define NAME(function) function##_baseline
#define REGISTER_LANES 4
#include "wavenet.inc"
