import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Relative to this file, in src as in dist. */
const LOCAL_BUILD = '../../build/Release/deadpeer.node'
/** The asset of a single executable. */
const ASSET = 'deadpeer.node'

const inBundles =
  'If a bundler made this program, leave deadpeer out of the bundle and install it beside the program ' +
  "(esbuild: --external:deadpeer; webpack: externals: { deadpeer: 'commonjs deadpeer' }; Rollup and Vite: external: [/^deadpeer/]), " +
  'or include the binary: docs/install.md of the package says how'

/**
 * Loads the binary of this system. Throws an error with the reason if that fails.
 *
 * @param path of another binary than the package's.
 */
export function loadBinary(path?: string): object {
  if (path !== undefined) return createRequire(import.meta.url)(path)
  const platform = `${process.arch}-${isGlibc() ? 'glibc' : 'musl'}`
  try {
    return shippedBinary(platform)
  } catch (error) {
    if (isFound(error)) throw reasonOf(error as Error)
    const other = embeddedBinary() ?? localBuild()
    if (other) return other
    throw new Error(
      process.arch === 'x64' || process.arch === 'arm64'
        ? `the package's binary for linux-${platform} was not found (${firstLine(error)}). ${inBundles}`
        : `the package has binaries for x64 and arm64, and this is ${process.arch}`,
    )
  }
}

/** Calls with literal paths: bundlers and file tracers find the binaries by them. */
function shippedBinary(platform: string): object {
  switch (platform) {
    case 'x64-glibc':
      return require('../../prebuilds/linux-x64/deadpeer.glibc.node')
    case 'x64-musl':
      return require('../../prebuilds/linux-x64/deadpeer.musl.node')
    case 'arm64-glibc':
      return require('../../prebuilds/linux-arm64/deadpeer.glibc.node')
    case 'arm64-musl':
      return require('../../prebuilds/linux-arm64/deadpeer.musl.node')
    default:
      throw new Error('no such binary')
  }
}

/** Whether the file was there. The error says why it was not loaded. */
function isFound(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_DLOPEN')
}

function reasonOf(error: Error & { code?: string }): Error {
  const forbidden = error.code === 'ERR_DLOPEN_DISABLED'
  return forbidden ? new Error(`${firstLine(error)} Start Node with --allow-addons`, { cause: error }) : error
}

function firstLine(error: unknown): string {
  return (error as Error).message.split('\n')[0]!
}

/** The binary that a Node single executable has as an asset. It must be a file to be loaded. */
function embeddedBinary(): object | undefined {
  const sea = process.getBuiltinModule('node:sea')
  if (!sea?.isSea()) return undefined
  let binary: ArrayBuffer
  try {
    binary = sea.getRawAsset(ASSET) as ArrayBuffer
  } catch {
    throw new Error(
      `this single executable has no asset ${ASSET}. Add it to "assets" of its configuration: ` +
        `"assets": { "${ASSET}": "node_modules/deadpeer/prebuilds/linux-${process.arch}/deadpeer.glibc.node" }`,
    )
  }
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-'))
  try {
    const file = join(folder, ASSET)
    writeFileSync(file, new Uint8Array(binary))
    return createRequire(file)(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `npm run build` made. No bundler should look for it, so the path is no literal argument. */
function localBuild(): object | undefined {
  const load = createRequire(import.meta.url)
  try {
    return load(LOCAL_BUILD)
  } catch (error) {
    if (isFound(error)) throw error
    return undefined
  }
}

/**
 * Whether this process runs on glibc. The system may have both libraries, and an explicit loader runs Node with either. What is mapped says it
 * in half a millisecond. Where that cannot be read, Node's report says it, in five. The report leaves out the network part, which looks up the name
 * of each peer.
 */
function isGlibc(): boolean {
  try {
    if (/\/libc(\.so\.6|-2\.\d+\.so)$/m.test(readFileSync('/proc/self/maps', 'latin1'))) return true
  } catch {
    // Without /proc, or without the permission to read it.
  }
  // Since Node 20.13.
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  report.excludeNetwork = true
  try {
    const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
    return header.glibcVersionRuntime !== undefined
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}
