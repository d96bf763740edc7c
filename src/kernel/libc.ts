import { readdirSync } from 'node:fs'

/**
 * Whether this very runtime is linked with musl, rather than that there is one beside glibc. Its own report says so, which takes milliseconds: so it
 * is asked only where there is a musl at all, and not for its sockets, whose names it would look up one by one.
 */
export function isMusl(): boolean {
  if (!filesIn('/lib').some((name) => name.startsWith('ld-musl-'))) return false
  // From Node 20.13 on.
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  report.excludeNetwork = true
  try {
    const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
    return header.glibcVersionRuntime === undefined
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
