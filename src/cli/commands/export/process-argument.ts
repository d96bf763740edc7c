import { mustBe } from '../../lib/invalid-argument.js'

/** The kernel keeps 15 bytes of a process's name, so a longer name would never match. */
const LONGEST_NAME = 15

/** Adds the name of a process, as in `ps -o comm`, to those given before. */
export function processArgument(text: string, before: readonly string[] = []): readonly string[] {
  const length = Buffer.byteLength(text)
  if (length > 0 && length <= LONGEST_NAME) return [...new Set([...before, text])]
  throw mustBe(`the name of a process as in ps -o comm, which has 1 to ${LONGEST_NAME} bytes`)
}
