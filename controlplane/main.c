#include <stdio.h>
#include <string.h>

#include "controlplane/config/tool.h"
#include "proto/base/version.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("weir-controlplane %s\n", weir_version());
        return 0;
    }
    if (config_tool_wants(argc, argv)) return config_tool_main(argc, argv);
    fprintf(stderr, "weir-controlplane: only --version in this version\n");
    return 2;
}
