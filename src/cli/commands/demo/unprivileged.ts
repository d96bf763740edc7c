import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { exitCodeOf, onInterrupt } from '../../lib/interrupt.js'
import { complain, firstLine } from '../../lib/terminal.js'

/** Set for the demo inside the namespace, so that it does not try again if that is forbidden as well. */
const INSIDE = 'DEADPEER_DEMO_NAMESPACE'

const unshare = ['-Urn', 'sh', '-c'] as const

/** The exit code of `sh` if a command is not found. */
const NOT_FOUND = 127

/**
 * Runs this program again with the same arguments, in a user and network namespace of its own. Most systems allow any user to create these.
 * Returns its exit code.
 */
export async function rerunInNamespace(): Promise<number> {
  const obstacle = process.env[INSIDE] ? 'the kernel does not grant it there' : findObstacle()
  if (obstacle) {
    complain(
      'the demo needs CAP_NET_ADMIN to make its peers vanish. It can also run in a user namespace, ' +
        `but ${obstacle}. Run it as root, or in a container with --cap-add=NET_ADMIN.`,
    )
    return 1
  }
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', [...unshare, 'ip link set lo up && exec "$@"', 'sh', ...command], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  })
  // A Ctrl-C goes to both processes: the child ends, and this process passes on its exit code.
  const stopForwarding = onInterrupt((signal) => child.kill(signal))
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  stopForwarding()
  return code ?? exitCodeOf(signal!)
}

/** Tries the namespace first: the exit code of the demo would not show whether the namespace was permitted. */
function findObstacle(): string | undefined {
  const { error, status, stderr } = spawnSync('unshare', [...unshare, 'ip link set lo up'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  })
  if (error) return `unshare (util-linux) is not installed (${error.message})`
  if (status === NOT_FOUND) return 'ip (iproute2) is not installed'
  if (status !== 0) return `that is forbidden here (${firstLine(stderr)})`
  return undefined
}
