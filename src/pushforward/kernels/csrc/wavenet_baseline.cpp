// For the instructions that every processor of the architecture has.
#define NAME(function) function##_baseline
#include "wavenet.inc"
