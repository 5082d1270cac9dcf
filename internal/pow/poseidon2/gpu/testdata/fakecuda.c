// A libcuda.so.1 for tests: as much of CUDA's driver as is used, on the CPU. What goes
// wrong is the value of the variable FAKE_CUDA. kernel.h has the kernel, made for C.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

static int is(const char *trouble)
{
	const char *value = getenv("FAKE_CUDA");
	return value && !strcmp(value, trouble);
}

// How many launches go well before those that do not.
enum { GOOD_LAUNCHES = 3 };

static int launches;

int cuInit(unsigned flags) { return is("no card") ? 100 : is("updated") ? 803 : 0; }

int cuDriverGetVersion(int *version)
{
	*version = is("old driver") ? 11040 : 12020;
	return 0;
}

int cuGetErrorName(int error, const char **name)
{
	*name = error == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_FAKE";
	return 0;
}

int cuDeviceGetCount(int *n)
{
	if (is("crash"))
		*(volatile int *)0 = 1;
	*n = 2;
	return 0;
}

int cuDeviceGet(int *device, int ordinal)
{
	*device = ordinal;
	return 0;
}

int cuDeviceGetName(char *name, int size, int device)
{
	snprintf(name, size, "Fake Card %d", device);
	return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
	*bytes = 8ULL << 30;
	return 0;
}

int cuDeviceGetUuid(unsigned char *uuid, int device)
{
	for (int i = 0; i < 16; i++)
		uuid[i] = 16 * device + i;
	return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
	switch (attribute) {
	case 16: *value = 46; break;
	case 18: *value = device; break; // the second one is integrated
	case 20: *value = is("prohibited") ? 2 : 0; break;
	case 75: *value = is("old card") ? 6 : 8; break;
	case 76: *value = is("old card") ? 1 : 9; break;
	default: *value = 0;
	}
	return 0;
}

int cuCtxCreate_v2(void **context, unsigned flags, int device)
{
	*context = &launches;
	return flags == 4 ? 0 : 1; // who waits must sleep
}

int cuModuleLoadDataEx(void **module, const char *image, unsigned n, int *options, void **values)
{
	if (is("kernel refused")) {
		for (unsigned i = 0; i < n; i++)
			if (options[i] == 5)
				strcpy(values[i], "ptxas: line 1 is not to be understood");
		return 218;
	}
	*module = &launches;
	return strcmp(image, "the kernel") ? 218 : 0;
}

int cuModuleGetFunction(void **function, void *module, const char *name)
{
	*function = &launches;
	return strcmp(name, "search") ? 500 : 0;
}

int cuFuncGetAttribute(int *value, int attribute, void *function)
{
	*value = 0;
	return 0;
}

int cuMemAlloc_v2(uint64_t *memory, size_t size)
{
	if (is("no memory"))
		return 2;
	*memory = (uintptr_t)malloc(size);
	return 0;
}

int cuMemHostAlloc(void **memory, size_t size, unsigned flags)
{
	*memory = calloc(1, size);
	return 0;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream)
{
	memcpy((void *)to, from, size);
	return 0;
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream)
{
	memcpy(to, (void *)from, size);
	return 0;
}

int cuMemsetD32Async(uint64_t memory, unsigned value, size_t n, void *stream)
{
	for (size_t i = 0; i < n; i++)
		((unsigned *)memory)[i] = value;
	return 0;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
	unsigned shared, void *stream, void **parameters, void **extra)
{
	launches++;
	if (gy != 1 || gz != 1 || by != 1 || bz != 1)
		return 1;
	for (uint64_t i = 0; i < (uint64_t)gx * bx; i++) {
		global_id = i;
		search(*(const ulong **)parameters[0], *(uint *)parameters[1], *(uint *)parameters[2], *(ulong *)parameters[3], *(uint **)parameters[4]);
	}
	return is("launch refused") && launches > GOOD_LAUNCHES ? 701 : 0;
}

int cuStreamCreate(void **stream, unsigned flags)
{
	*stream = &launches;
	return 0;
}

int cuEventCreate(void **event, unsigned flags)
{
	*event = &launches;
	return flags & 1 ? 0 : 1; // who waits must sleep
}

int cuEventRecord(void *event, void *stream) { return 0; }

int cuEventSynchronize(void *event)
{
	if (launches > GOOD_LAUNCHES) {
		while (is("hang"))
			pause();
		if (is("lost"))
			return 719;
	}
	return 0;
}
