import { spawnSync } from 'node:child_process'

const REENTERED = 'DEADPEER_TEST_NAMESPACE'

/**
 * Black holes need CAP_NET_ADMIN in the network namespace. Who is not root runs the same command once more in a
 * user and network namespace of its own, and exits with its code; where that is not to be had, goes on without.
 */
export function withNetAdmin() {
  if (process.getuid?.() === 0 || process.platform !== 'linux' || process.env[REENTERED]) return
  const inside = [
    '-Urn',
    'sh',
    '-c',
    'ip link set lo up && exec "$@"',
    'sh',
    process.execPath,
    ...process.argv.slice(1),
  ]
  if (spawnSync('unshare', ['-Urn', 'true']).status !== 0) {
    console.log(
      '# not root, and no user namespace to be had (unshare -Urn): tests that need CAP_NET_ADMIN are skipped',
    )
    return
  }
  const { status } = spawnSync('unshare', inside, {
    stdio: 'inherit',
    env: { ...process.env, [REENTERED]: '1' },
  })
  process.exit(status ?? 1)
}
