#include <stdio.h>
#include <string.h>

#include "proto/base/version.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("weir-fake %s\n", weir_version());
        return 0;
    }
    fprintf(stderr, "weir-fake: only --version in this version\n");
    return 2;
}
