import { api, type Schemas } from './client'

export type BudgetStatus = Schemas['BudgetStatus']

/** listBudgets 是有预算的应用各花到了哪里。 */
export async function listBudgets(): Promise<BudgetStatus[]> {
  return (await api.GET('/budgets')).data!
}
