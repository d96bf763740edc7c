const shortages: readonly unknown[] = ['EAGAIN', 'EINTR', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']

/**
 * Whether a call failed because this process or the system was short of something at that moment. The same call may succeed the
 * next time.
 */
export function isShortage(error: object): boolean {
  return 'code' in error && shortages.includes(error.code)
}
