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
	if (!is("old version") && !is("not available") && !is("no compiler") && !is("big-endian") && !is("no 64 bits"))
		return is("no device") ? -1 : -6;
	if (count)
		*count = 1;
	if (n)
		*devices = platform;
	return 0;
}

// A device of which all is well but one thing.
int clGetDeviceInfo(void *device, uint32_t name, size_t size, void *value, size_t *needed)
{
	const char *text = 0;
	uint32_t number = 1;
	switch (name) {
	case 0x1026:
		number = !is("big-endian");
		break;
	case 0x1027:
		number = !is("not available");
		break;
	case 0x1028:
		number = !is("no compiler");
		break;
	case 0x102B:
		text = "a device";
		break;
	case 0x102E:
		text = is("no 64 bits") ? "EMBEDDED_PROFILE" : "FULL_PROFILE";
		break;
	case 0x102F:
		text = is("old version") ? "OpenCL 1.0 " : "OpenCL 3.0 ";
		break;
	case 0x1030:
		text = "cl_khr_fp64";
		break;
	}
	size_t length = text ? strlen(text) + 1 : sizeof number;
	if (needed)
		*needed = length;
	if (value && size < length)
		return -30;
	if (value)
		memcpy(value, text ? (const void *)text : &number, length);
	return 0;
}

#define NONE(name) int name(void) { return -30; }
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
