/** Resolves after so many milliseconds. Does not keep the process. */
export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref())
}
