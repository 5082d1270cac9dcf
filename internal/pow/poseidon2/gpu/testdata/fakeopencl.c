// A libOpenCL.so.1 for tests, which does nothing well. What goes wrong is the value of the
// variable FAKE_OPENCL.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is(const char *trouble)
{
	const char *value = getenv("FAKE_OPENCL");
	return value && !strcmp(value, trouble);
}

int clGetPlatformIDs(uint32_t n, void **platforms, uint32_t *count)
{
	if (is("crash"))
		*(volatile int *)0 = 1;
	if (is("abort"))
		abort();
	if (is("no driver"))
		return -1001;
	if (is("talk")) {
		puts("a driver that writes to the standard output");
		fflush(stdout);
	}
	if (count)
		*count = 1;
	if (n)
		*platforms = &count;
	return 0;
}

int clGetPlatformInfo(void *platform, uint32_t name, size_t size, void *value, size_t *needed) { return -30; }
int clGetDeviceIDs(void *platform, uint64_t kind, uint32_t n, void **devices, uint32_t *count)
{
	return is("no device") ? -1 : -6;
}

#define NONE(name) int name(void) { return -30; }
NONE(clGetDeviceInfo)
NONE(clCreateContext)
NONE(clCreateCommandQueue)
NONE(clCreateProgramWithSource)
NONE(clCreateProgramWithBinary)
NONE(clBuildProgram)
NONE(clGetProgramBuildInfo)
NONE(clGetProgramInfo)
NONE(clReleaseProgram)
NONE(clCreateKernel)
NONE(clSetKernelArg)
NONE(clCreateBuffer)
NONE(clEnqueueWriteBuffer)
NONE(clEnqueueReadBuffer)
NONE(clEnqueueNDRangeKernel)
NONE(clFlush)
NONE(clGetEventInfo)
#ifndef TOO_OLD
NONE(clReleaseEvent)
#endif
