import type net from 'node:net'
import type { MeasuredPath } from '../measured-path.js'
import { isMeasured } from '../measured-path.js'
import type { IdleConnection } from './connection.js'
import type { Opener } from './opener.js'
import { MOST_CONNECTIONS } from './source.js'

// The client of a measurement from the listening side. It opens connections when the listener asks for them, and sends nothing on them.
//
// The listener greets each connection. The client answers on one of them, the control connection, with CONTROL. On that one the listener writes
// lines: `open SECONDS`, `result JSON`, or an empty line, which keeps the control connection from being idle.

/** What the listener writes first on each connection. */
export const GREETING = 'deadpeer measure --listen\n'
/** What the client writes on the control connection. */
export const CONTROL = 'control\n'

/** A longer line is not the listener's, bytes. */
const LONGEST_LINE = 1_048_576

/**
 * Opens connections for the listener until it sends its result. `undefined` if the control connection ends before that, or the signal is
 * aborted.
 */
export async function hold(
  opener: Opener,
  control: net.Socket,
  signal: AbortSignal,
): Promise<MeasuredPath | undefined> {
  const held = new Map<IdleConnection, NodeJS.Timeout>()
  const drop = (connection: IdleConnection) => {
    clearTimeout(held.get(connection))
    held.delete(connection)
    opener.release(connection)
  }
  const openOne = async (seconds: number) => {
    const oldest = held.keys().next().value
    if (opener.open >= MOST_CONNECTIONS && oldest) drop(oldest)
    const connection = await opener.take(0, signal)
    if (!connection) return
    if (signal.aborted) return opener.release(connection)
    held.set(
      connection,
      setTimeout(() => drop(connection), seconds * 1_000),
    )
    connection.onEnd = () => drop(connection)
  }
  const stop = () => control.destroy()
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  control.write(CONTROL)
  try {
    return await new Promise((resolve) => {
      let text = ''
      control.on('close', () => resolve(undefined))
      control.on('end', () => resolve(undefined))
      control.on('data', (data: Buffer) => {
        text += data.toString('utf8')
        if (text.length > LONGEST_LINE) control.destroy()
        const lines = text.split('\n')
        text = lines.pop()!
        for (const line of lines) {
          const [, seconds] = /^open (\d{1,6})$/.exec(line) ?? []
          if (seconds !== undefined) void openOne(Number(seconds))
          else if (line.startsWith('result ')) resolve(resultOf(line.slice('result '.length)))
        }
      })
    })
  } finally {
    signal.removeEventListener('abort', stop)
    for (const connection of [...held.keys()]) drop(connection)
  }
}

function resultOf(json: string): MeasuredPath | undefined {
  try {
    const result: unknown = JSON.parse(json)
    return typeof result === 'object' && result !== null && isMeasured(result) ? result : undefined
  } catch {
    return undefined
  }
}
