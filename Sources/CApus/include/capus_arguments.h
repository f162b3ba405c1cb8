// The program's arguments as the system gave them, byte for byte.
#ifndef CAPUS_ARGUMENTS_H
#define CAPUS_ARGUMENTS_H

// -1: this C library does not tell.
int apus_argument_count(void);
const char *_Nullable apus_argument(int i);

#endif
