#pragma once

/* registers.h - configuration space of a host's devices, in the files that the kernel shows. */

struct err;
struct sim;

/* 'where': a hexadecimal offset, or like setpci(8) "CAP_EXP+8", "ECAP_ACS+6"; 16 bits. */
int register_peek(const struct sim *sim, const char *address, const char *where, unsigned *out, struct err *err);
int register_poke(const struct sim *sim, const char *address, const char *where, unsigned value, struct err *err);
/* The bits of 'mask' become those of 'value'. */
int register_update(const struct sim *sim, const char *address, const char *where, unsigned mask, unsigned value,
		    struct err *err);
/* Bits that no hardware keeps, such as ACS control bits without their capability, read 0 again. */
void register_settle(const struct sim *sim, const char *address);
