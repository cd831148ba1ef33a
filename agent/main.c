/* main.c - gdr-agent, on the GPU host. */

#include "agent/program.h"

int
main(int argc, char **argv)
{
	return program_main(&gdr_agent, argc, argv);
}
