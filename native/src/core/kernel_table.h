#pragma once
#include <type_traits>

#include "core/kernels.h"

/**
 * How a backend fills a table from one list of names, LIST(USE) = USE(binary) USE(unary) …:
 * LIST(FORGE_DECLARE_KERNEL) declares a function for each, with the signature of the member of Kernels of that name;
 * {LIST(FORGE_USE_KERNEL)} is the table, null where the list has no name. The order is that of the members.
 */
#define FORGE_DECLARE_KERNEL(name) std::remove_pointer_t<decltype(Kernels::name)> name;
#define FORGE_USE_KERNEL(name) .name = name,
