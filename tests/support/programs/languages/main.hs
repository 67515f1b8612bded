-- Threads, transactions' plain sister MVar, exceptions, laziness, big numbers and a timer.
module Main (main) where

import Control.Concurrent
import Control.Exception
import Control.Monad (forM, forM_, when)
import Data.IORef (atomicModifyIORef', newIORef, readIORef)
import qualified Data.Map.Strict as Map
import System.Environment (getArgs, getEnv)
import System.Exit (ExitCode (..), exitWith)
import System.IO
import System.Mem (performGC)
import System.Timeout (timeout)

primes :: [Int]
primes = sieve [2 ..] where sieve (p : rest) = p : sieve [n | n <- rest, n `mod` p /= 0]

main :: IO ()
main = do
  hSetBuffering stdout LineBuffering
  total <- newIORef (0 :: Int)
  ended <- forM [1 .. 8] $ \number -> do
    done <- newEmptyMVar
    _ <- forkIO $ do
      forM_ [1 .. 1000] $ \each -> atomicModifyIORef' total (\sum' -> (sum' + each * number, ()))
      threadDelay 1000
      putMVar done number
    return done
  numbers <- mapM takeMVar ended
  sum' <- readIORef total
  print (numbers, sum')
  print (primes !! 300, 2 ^ (200 :: Int) :: Integer)
  caught <- try (evaluate (1 `div` (0 :: Int))) :: IO (Either ArithException Int)
  print caught
  late <- timeout 20000 (threadDelay 10000000)
  print late
  let table = Map.fromListWith (+) [(each `mod` 97, each) | each <- [1 .. 100000 :: Int]]
  print (Map.foldl' (+) 0 table)
  performGC
  blocked <- try (newEmptyMVar >>= takeMVar :: IO ()) :: IO (Either BlockedIndefinitelyOnMVar ())
  print blocked
  word <- getEnv "WORD"
  paths <- getArgs
  forM_ paths $ \path -> writeFile path word >> readFile path >>= putStrLn
  hPutStrLn stderr "to stderr"
  when (length numbers == 8) $ exitWith (ExitFailure 6)
