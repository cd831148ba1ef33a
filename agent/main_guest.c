/* main_guest.c - gdr-guest, inside the VM. */

#include "agent/program.h"

int
main(int argc, char **argv)
{
	return program_main(&gdr_guest, argc, argv);
}
