import { release } from 'node:os'

const [major = 0, minor = 0] = release().split('.').map(Number)

/** Whether this kernel has `TCP_RTO_MAX_MS`, by its version: Linux 6.15. The library finds out by itself. */
export const hasRtoMax = major > 6 || (major === 6 && minor >= 15)
