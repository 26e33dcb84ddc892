// A page with one contestant's client: `page.html?library=everwire`. `driver` is a promise of what runs in it.
import { library } from '../whole/contestants/index.mjs'
import { Driver } from '../whole/driver.mjs'

const contestant = library(new URLSearchParams(location.search).get('library'))
globalThis.driver = load()

async function load() {
  const { script, global } = contestant.page
  if (script) {
    const element = document.createElement('script')
    element.src = `../library/${contestant.name}.js`
    await new Promise((resolve, reject) => {
      element.onload = resolve
      element.onerror = () => reject(new Error(`${element.src} did not load`))
      document.head.append(element)
    })
  }
  return new Driver(
    contestant,
    global.split('.').reduce((object, key) => object[key], globalThis),
  )
}
