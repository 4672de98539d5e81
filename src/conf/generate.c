/*
 * conf/generate.c: prints the files that are made from the configuration table: `generate sample`, `generate manual`.
 *
 * A program of the build, run by `make conf-generated`; never installed. Owns nothing. Fails with a message and 1 or 2.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/manual.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		conf_print_sample(stdout);
	} else if (argc == 2 && strcmp(argv[1], "manual") == 0) {
		conf_manual_print(stdout);
	} else {
		fputs("usage: generate sample | manual\n", stderr);
		return 2;
	}
	if (ferror(stdout) || fclose(stdout) != 0) {
		perror("generate");
		return 1;
	}
	return 0;
}
