// bcryptprimitives.dll of Windows has ProcessPrng, which Go programs take their random
// numbers from. Wine 8, that of Debian 12, has no such library.
#include <windows.h>
#include <ntsecapi.h> // RtlGenRandom, which is SystemFunction036 of advapi32.dll

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
	while (length > 0) {
		ULONG some = length < 0x10000000 ? (ULONG)length : 0x10000000;
		if (!RtlGenRandom(data, some)) return FALSE;
		data += some;
		length -= some;
	}
	return TRUE;
}
