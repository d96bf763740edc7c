/**
 * Says why some tests are left out: this process may not do what they take. Where it has to be allowed to
 * (DEADPEER_TEST_PRIVILEGES, as .ci/run sets it), that is a failure.
 */
export function leaveOut(why: string): void {
  if (process.env.DEADPEER_TEST_PRIVILEGES) throw new Error(`tests would be skipped: ${why}`)
  console.log(`# skipped: ${why}`)
}
