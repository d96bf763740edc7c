import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { leaveOut } from './skip-reason.js'

/** How to be a user without privileges: another one where there is one; or else the same, without capabilities. */
interface Ordinary {
  readonly uid: number
  readonly command: readonly string[]
}

const NOBODY = 65_534
const can = (...command: string[]) => spawnSync(command[0]!, [...command.slice(1), 'true']).status === 0

const ordinary = chooseOrdinary()

export const hasOrdinaryUser = ordinary !== undefined

function chooseOrdinary(): Ordinary | undefined {
  if (process.getuid?.() !== 0) return { uid: process.getuid!(), command: [] }
  if (can('setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups')) {
    return { uid: NOBODY, command: [] }
  }
  const without = ['setpriv', '--bounding-set=-all', '--inh-caps=-all']
  if (can(...without)) return { uid: 0, command: without }
  leaveOut('no user without privileges: setpriv can neither change nor restrict this one')
  return undefined
}

/** Does tasks of test/loopback/fixtures/ordinary-user.mjs as that user; one outcome each. */
export async function asOrdinaryUser(
  tasks: readonly unknown[][],
  // biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
): Promise<any[]> {
  const { uid, command } = ordinary!
  const script = fileURLToPath(new URL('../loopback/fixtures/ordinary-user.mjs', import.meta.url))
  const [program, ...args] = [...command, process.execPath, script, String(uid), JSON.stringify(tasks)]
  const { stdout } = await promisify(execFile)(program!, args)
  return JSON.parse(stdout)
}
