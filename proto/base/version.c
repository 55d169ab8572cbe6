#include "proto/base/version.h"

const char *weir_version(void)
{
    return WEIR_VERSION;
}
